"""The error browser: predictions beside gold on one HTML page, for a person who looks at errors.

lines.py  which prediction files a run has, and whether they may be shown
views.py  a prediction line becomes what the page shows of it, by kind of task
spans.py  where an answer stands in a context
page.py   the page: its data, its warning, browser.css and browser.js

The page holds note text. It is made only from predictions that were written with text, nothing on
it is loaded from elsewhere, and its content security policy forbids it to send anything.
"""
