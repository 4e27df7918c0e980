"""What users do by themselves with what is their own: keys, data, consent."""
