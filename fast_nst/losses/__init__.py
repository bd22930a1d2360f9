"""The perceptual loss: its terms, temporal consistency, what one batch is trained on."""
