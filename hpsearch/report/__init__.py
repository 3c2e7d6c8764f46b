"""A sweep, or several, as one HTML page that needs nothing else: no network, no other file.

    facts.py        a sweep's ledger, put together for the page: its clock, its attempts, which trials are shown where there are many
    story.py        what was asked and found, in words: the one place that says who won and by how much
    words.py        how numbers and times are written on the page
    plot.py         one figure of the page, in plotly's terms; text that plotly shows letter by letter; colours
    axis.py         a hyperparameter as an axis
    progress.py     the best so far, over trials and over time
    curves.py       learning curves of all trials
    parameters.py   importance, parallel coordinates, a slice for each hyperparameter
    contour.py      the objective over the two hyperparameters that matter most
    front.py        the Pareto front
    workers.py      what each worker did when, and why trials failed
    training.py     the best trial's training: its curves, what is wrong with it, the pictures that it left
    table.py        all trials, for sorting and filtering
    page.py         all of it as HTML; `report.html`, `compare.html`, `page.css` and `page.js` are its form
    compare.py      several sweeps beside each other

Figures are plain mappings of plotly's own schema; plotly itself, which is slow to import, only gives its JavaScript.
"""
