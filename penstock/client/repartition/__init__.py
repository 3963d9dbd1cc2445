"""Moving a drained workflow to another partition count: its journals and changelogs are written anew, each run in the partition that is its now (ADR 0021)."""
