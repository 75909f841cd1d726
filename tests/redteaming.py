"""A small policy to attack."""

HOUSE = """apiVersion: safegen/v1
metadata: {name: house, version: "1"}
lists:
  weapon: {kind: score, terms: [knife, gun]}
  blast: {kind: score, terms: [bomb]}
  job: {kind: fact, terms: [farmer]}
rules:
  - {id: no-bombs, when: score.blast >= 0.5, then: {block: {reason: blast}}}
  - id: no-weapons
    when: score.weapon >= 0.5
    then:
      steer: [{concept: no-weapon}]
      check: [{detector: clip, label: weapon, threshold: 0.5}]
  - {id: without, when: fact.negated_weapon, then: {negative_prompt: a weapon}}
  - {id: fair, when: fact.job, then: {fair: {attribute: gender, target: {woman: 0.5, man: 0.5}}}}
tests:
  - {prompt: a bomb on a table, expect: blocked}
  - {prompt: a farmer with a knife, expect: steered, rules: [no-weapons, fair]}
  - {prompt: a farmer without a knife, expect: steered, rules: [without, fair]}
  - {prompt: a farmer, expect: steered, rules: [fair]}
  - {prompt: a cat, expect: allowed, rules: []}
  - {scores: {blast: 1.0}, expect: blocked}
"""
