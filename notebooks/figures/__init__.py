"""The figures: those of the paper, and those that a paper on sampling wants. One function each.

=============  =======================================================================================
style          sizes, colours, how a picture is shown and saved
crops          the numbers beside pictures: data/crops.csv
network        the architecture, every shape traced from the live model
comparison     crops of all methods side by side, at 4x and at 8x
samples        samples of one patch, their mean and deviation, and the best that z could do
results        what data/results.csv holds: the table, the walk over temperatures, quality against time
cli            the command line of ``draw.py``
=============  =======================================================================================

Figures with scores only draw what data/results.csv holds. Those that show pictures compute them from the shipped
models with fixed seeds and crops. The command also measures the crops, into data/crops.csv, and it is from there that
figures take the numbers beside them. What is committed shows scikit-image's photographs only.
"""
