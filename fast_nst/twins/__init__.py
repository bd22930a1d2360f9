"""The exported file in the forms that other programs take, each checked against it; Triton repositories."""
