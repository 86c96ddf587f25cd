"""The `eir` command: one thin file per sub-command, importing what it needs when it runs."""
