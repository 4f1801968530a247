"""The command for people with files: ``srvae enlarge`` enlarges image files and folders of them.

=============  =======================================================================================
jobs           from what is named to which file's answers go where
headers        what a file says before its pixels are read
notes          what an answer's file says besides its picture
settings       what makes an answer what it is, in words that its file holds
tasks          what is left to do
strips         an answer strip by strip, in memory that does not grow with the image's height
picture        the form of an answer, and the notes beside it
png            PNG files written row by row
writers        files of all formats from bands of rows
sharing        files shared among the processes of ``accelerate launch``
work           reads, enlarges, writes; what fails is said at the end
cli            the command line of ``srvae enlarge``
=============  =======================================================================================
"""
