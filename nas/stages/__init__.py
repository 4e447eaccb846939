"""The stages of a search, one file each; a stage whose artefact is in the store is taken from there."""
