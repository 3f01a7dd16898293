"""How right the results are: tagging mAP, box and mask AP, the share of labels that are right."""
