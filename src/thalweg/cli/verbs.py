"""The verbs by name, each in a module of its name, and the old names of verbs and options."""

VERBS = {
    "datasets": "list the image data sets",
    "demo": "fit the four energies of Rezende & Mohamed (2015) and print a table",
    "doctor": "tell what is installed, which devices there are, and whether the cache works",
    "estimate": "fit the density of the rows of a table and compare it with simpler ones",
    "fit-vae": "fit a latent Gaussian model with a flow posterior to images",
    "flows": "list the flows with paper, costs and best use",
    "infer": "fit a posterior to an unnormalised log density and print a verdict",
    "report": "write the page of a run",
    "reproduce": "run a study of a paper: a table and figures",
    "resume": "continue a run that was stopped",
    "sample": "write draws from a run to a file",
    "score": "write log densities of the rows of a table to a file",
    "targets": "list the built-in densities and the facts known about them",
}

OLD_VERBS = {"encode": "fit-vae"}

# By verb. Old names are accepted, with a sentence on stderr.
OLD_OPTIONS = {
    "fit-vae": {"--few": "--draws-all", "--gaps": "--inference-gap", "--rows": "--test-images"}
}
