"""Where the log of a run goes: one file per logger."""
