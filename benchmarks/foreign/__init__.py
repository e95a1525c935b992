"""What snapq makes of models that other tools quantized: real exports of small networks."""
