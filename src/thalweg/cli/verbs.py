"""The verbs by name; each lives in a module of its name."""

VERBS = {
    "datasets": "the image data sets there are",
    "demo": "the main job on the four energies of the paper, in a short table",
    "encode": "images in, a generative model with a flow posterior out",
    "estimate": "a table in, the density of its rows out, beside simpler ones",
    "flows": "the flows there are, with paper, costs and best use",
    "infer": "an unnormalised log density in, a posterior with a verdict out",
    "report": "write the page of a run",
    "reproduce": "the papers' studies, each a table and figures",
    "resume": "go on where a run stopped",
    "sample": "draws from a run into a file",
    "score": "log densities of the rows of a file",
    "targets": "the built-in densities, with what is known of them",
}
