const unseen = /[\p{C}\p{Zl}\p{Zp}\u115f\u1160\u2800\u3164\uffa0]|\p{M}{4,}/u
const seen = /[\p{L}\p{N}\p{P}\p{S}]/u

/**
 * Whether a text is to everybody who reads it what it is to the program: nothing invisible, nothing that turns the direction of
 * reading, no second line, no towers of accents, and not blank. Letters that look like others are not told apart.
 */
export const isShownText = (text: string): boolean => !unseen.test(text) && seen.test(text)
