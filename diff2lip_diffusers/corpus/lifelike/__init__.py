"""The lifelike look of drawn people: heads in the round, skin, hair, clothes, hard light, and a camera's flaws."""
