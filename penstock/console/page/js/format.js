// How figures and times are written. Pure.

/** Write milliseconds as people say them: 320 ms, 4.2 s, 3 min 5 s, 2 h 10 min. */
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

/** Write dollars: small sums with the digits that matter. */
export function money(usd) {
  if (usd === null || usd === undefined) return "–";
  if (usd === 0) return "$0";
  if (usd < 0.01) return `$${usd.toPrecision(2).replace(/e-(\d+)$/, "e-$1")}`;
  return `$${usd.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: usd < 1 ? 4 : 2 })}`;
}

export function number(value) {
  return value === null || value === undefined ? "–" : value.toLocaleString("en-US");
}

export function percent(ratio) {
  if (ratio === null || ratio === undefined) return "–";
  return `${(ratio * 100).toFixed(ratio > 0 && ratio < 1 ? 1 : 0)} %`;
}

/** Write a time in the reader's zone: the clock alone for today, else the date with it. */
export function when(iso, now = new Date()) {
  if (!iso) return "–";
  const at = new Date(iso);
  const clock = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  if (at.toDateString() === now.toDateString()) return clock;
  return `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...(at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }) })} ${clock}`;
}

/** Write how far a time is from now: "in 4 min 3 s", "2 h 1 min ago". */
export function distance(iso, now = Date.now()) {
  if (!iso) return "–";
  const ms = new Date(iso).getTime() - now;
  const seconds = Math.floor(Math.abs(ms) / 1000);
  const text = seconds < 60 ? `${seconds} s` : duration(seconds * 1000);
  if (Math.abs(ms) < 1000) return "now";
  return ms > 0 ? `in ${text}` : `${text} ago`;
}

/** Write a value as indented JSON. */
export function pretty(value) {
  return JSON.stringify(value, null, 2) ?? "";
}

/** Parse JSON that a person typed: `{value}` or `{error}` with line and column where the browser tells the place. */
export function parse(text) {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { error: `Not JSON: ${place(text, error.message)}` };
  }
}

function place(text, message) {
  const at = /position (\d+)/.exec(message);
  if (!at || /line \d+/.test(message)) return message;
  const lines = text.slice(0, Number(at[1])).split("\n");
  return `${message.replace(/ in JSON.*/, "")} at line ${lines.length}, column ${lines.at(-1).length + 1}`;
}
