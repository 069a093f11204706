"""From results, and from what the paper published, to what people read.

collect         everything that a report is about, from run directories and the registry
table           measured systems as rows; paired differences
main_table      measured and published lines of one table, each marked as what it is
significance    every pair of systems, Holm-corrected
learning_curve  score against fraction; low_resource puts the paper's beside it
effort          score against FLOPs of pre-training
cost_table      FLOPs, break-evens, what prompting used

words           numbers as they are written
text            terminal, Markdown, CSV; latex: LaTeX; page and *_page: HTML
picture         a figure for page and files; charts, *_chart: what is drawn; pictures: all of them
label_places    names in figures that cover nothing
files           the page and everything beside it
"""
