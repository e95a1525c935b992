"""Networks of public packages with random weights, as snapq deploys and estimates them."""
