"""What the notebooks share; importable after ``make setup``: ``from srvae import metrics, viewer``.

=============  ====================================================================================
metrics        PSNR, SSIM, LR-PSNR, diversity, NIQE
release        the release's own way: .caffemodel files, 128x128 tiles
directions     directions of z, the line of samples
regions        new noise inside a rectangle
vgg            VGG-19 from a user's file, and the distance of pictures by its features
images         reading and writing image files
csvfiles       the CSV files of data/
benchmarks     image sets, scores, tables, speed and memory
training       from photographs to weights files
viewer         the interactive view
figures        one function per figure
enlarge        files and folders: ``srvae enlarge``
cli            the command ``srvae``
=============  ====================================================================================

Modules import ``srvae_core`` and those above them in this list, never those below.
"""
