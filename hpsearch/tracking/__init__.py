"""The ledger in MLflow: a projection that may be repeated at any time, written by a process beside the controller.

keys        what runs are found by; names and values as MLflow takes them
picture     events -> what MLflow should show (knows no MLflow); note: the Markdown on a sweep's run; files: what trials left on the disk
origin      where the sweep came from: tags, dataset inputs; summary: its numbers as they grow; documents: the small files on its run
runs        the runs of an experiment, over MLflow's client; quiet: MLflow without telemetry, noise and waits; schema: its SQLite file
projector   brings MLflow up to the ledger, difference by difference; sync compares everything and repairs
model       what is to be registered of a sweep, champion: which version is; registering: the handle on `registration`, the process that
            does it with all of MLflow; loader: what MLflow loads such a model by
process     the controller's handle on `python -m hpsearch.tracking`
links       into MLflow's UI, and the command that serves it
"""
