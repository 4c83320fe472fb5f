"""The report of an evaluation: a folder with a page, figures and clips."""
