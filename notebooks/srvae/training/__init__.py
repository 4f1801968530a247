"""Training of the SR-VAE, a room a subject. Nothing here needs Jupyter.

=============  =======================================================================================
config         the settings of a run, and how earlier versions wrote them
photographs    a folder or a pack of photographs in memory
packing        making a pack: the best of a folder in one file
patches        random pairs of patches, cut where the network is
teachers       stronger answers as targets: the run's own self-ensemble, or trained networks
perceptual     VGG-19 features: the release's VGG term, the distances of the energy score
discriminator  a network that tells samples from originals, an option
objective      what each stage minimises
latents        the start of the latent branch, with a generator that conditions
optimiser      Muon, and Adam beside it or as the release has it
schedule       how far a run has come, in steps or in minutes
files          a run's files, read with clear errors and written whole; its folder, one training's alone
weights        writing weights files
checkpoints    a run's folder: weights and state, record, log
compiling      ways to run a step that fill a GPU
trainer        one run: its network, a step, its checkpoints
loop           the loop around the steps: ``train``
validation     figures on held-out patches
export         from a run to what others use: files, model card, pieces that fit through a narrow door
recipe         a whole scale within given minutes
speed          how fast all this is on the machine at hand
cli            the command line of ``srvae train``
=============  =======================================================================================
"""
