"""Training of the SR-VAE; it needs no Jupyter.

===========  ==========================================================================
config       the settings of a run
photographs  a folder or a pack of photographs in memory
pack         a pack: the most detailed part of each photograph in one file
patches      random pairs of patches, cut on the training device
codes        the LR branch's code, computed once when only the decoder learns
teacher      VapSR networks whose answers become targets
perceptual   VGG-19 terms: the release's, and the energy score
objective    the loss of each stage
latents      initialisation of the latent branch
optimiser    Muon and Adam, the learning rate
graph        a step as a CUDA graph
train        a run: the loop, a step, checkpoints
validation   scores on held-out patches
weights      the writer of weights files
export       from a run to a weights file
recipe       all stages of a scale
benchmark    steps per second
cli          ``srvae train``
===========  ==========================================================================
"""
