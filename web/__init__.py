"""Templates, message catalogues and page assets of both programs."""
