"""Train, calibrate and measure the network, and measure what a sharpened scene is good for."""
