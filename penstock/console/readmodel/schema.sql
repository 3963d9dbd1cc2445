-- The read model. Whatever stands here was folded from topics; `places` says up to where, in the same transaction.
-- A file of another schema is made anew.

create table workflows (
    id text primary key,
    partitions integer not null,
    nodes text not null                     -- JSON: node ids
) without rowid;

create table places (                       -- how far each partition is folded
    topic text not null,
    partition integer not null,
    workflow text not null,
    next_offset integer not null,
    last_timestamp integer not null,        -- of the record before next_offset: another one there is another topic
    owner_epoch integer not null default 0, -- of a changelog: the highest marker so far (PROTOCOL.md 8)
    primary key (topic, partition)
) without rowid;

create table runs (
    workflow text not null,
    run_id text not null,
    status text not null,
    version text,
    epoch integer not null,
    started_at integer not null,
    finished_at integer,
    duration_ms integer,
    cost_usd real,
    value blob not null,                    -- the RunRow, encoded
    primary key (workflow, run_id)
);
create index runs_by_start on runs (started_at, workflow, run_id);
create index runs_by_end on runs (workflow, finished_at);
create index runs_by_status on runs (workflow, status, started_at);

create table nodes (                        -- one per node and run: its own row, and what the run's row says of it
    workflow text not null,
    run_id text not null,
    node text not null,
    status text not null,                   -- as `runs show` tells it
    epoch integer not null,
    attempts integer not null,
    own_status text,                        -- NodeRow.status; null: no row
    own_epoch integer not null default 0,
    own_attempts integer not null default 0,
    outcome text,                           -- NodeOutcome.status; null: the run's row does not know the node
    outcome_epoch integer not null default 0,
    outcome_attempts integer not null default 0,
    review_hash text,                       -- of what a person is asked now
    value blob,                             -- the NodeRow, encoded
    primary key (workflow, run_id, node)
);
create index nodes_by_status on nodes (workflow, node, status);
create index nodes_in_review on nodes (workflow, run_id) where review_hash is not null;

create table rows (                         -- ledger and timers
    workflow text not null,
    name text not null,
    key text not null,
    run_id text not null,
    value blob not null,
    primary key (workflow, name, key)
);
create index rows_by_run on rows (workflow, run_id);

create table plans (                        -- the versions in penstock.plans: not of a workflow's own topics, so kept when those go
    workflow text not null,
    plan_hash text not null,
    recorded integer not null,              -- offset: the last one is current
    value text not null,                    -- JSON, as topology/versions.py reads it
    primary key (workflow, plan_hash)
) without rowid;

create table edges (
    workflow text not null,
    source text not null,
    node text not null,
    primary key (workflow, source, node)
) without rowid;

create table journal (                      -- every record of the journals, each once
    id integer primary key,
    workflow text not null,
    run_id text not null,
    node text,
    topic text not null,
    partition integer not null,
    offset integer not null,
    at integer not null,
    type text not null,
    ce_id text not null,
    spent_at integer,                       -- of a call: when it ended, what it took
    cost_usd real,
    tokens integer,
    value blob not null,
    unique (workflow, ce_id)
);
create index journal_by_run on journal (workflow, run_id);
create index journal_by_spending on journal (workflow, spent_at) where spent_at is not null;

create virtual table texts using fts5 (text, tokenize = 'trigram', detail = 'none'); -- rowid: journal.id; case folded

create table results (
    workflow text not null,
    run_id text not null,
    epoch integer not null,
    value text not null,
    primary key (workflow, run_id, epoch)
);

create table letters (
    workflow text not null,
    partition integer not null,
    offset integer not null,
    at integer not null,
    ce_id text not null,
    run_id text,
    other_run_id text,                      -- of an input: the run it starts when another one took its id
    subject text,
    node text,
    kind text not null,
    message text not null,
    redriven_from text,
    replaced integer not null default 0,    -- a later letter stands for it
    status text not null,
    key blob,
    value blob,
    headers text not null,                  -- JSON: [name, base64]
    primary key (workflow, partition, offset),
    unique (workflow, ce_id)
);
create index letters_by_run on letters (workflow, run_id);
create index letters_by_other on letters (workflow, other_run_id);

create table replays (                      -- runs that were sent back by a replay
    workflow text not null,
    replay_id text not null,
    run_id text not null,
    began_at integer,
    requested_by text,
    node text,
    reuse integer,
    sent integer not null default 0,
    opened integer,
    status text,
    primary key (workflow, replay_id, run_id)
);
create index replays_by_run on replays (workflow, run_id);

create table events (                       -- what happened to a run, numbered from 1, for those who follow it
    workflow text not null,
    run_id text not null,
    n integer not null,
    event text not null,                    -- node or done
    node text,
    status text not null,
    epoch integer not null,
    attempt integer not null,
    primary key (workflow, run_id, n)
) without rowid;

create table meta (name text primary key, value integer not null) without rowid;
insert into meta values ('version', 0);
