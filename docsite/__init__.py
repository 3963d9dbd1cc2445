"""The documentation site: what is generated from the models, and how links of the repository's pages become links of the site's."""
