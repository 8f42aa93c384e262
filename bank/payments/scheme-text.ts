const supported = /^[\u0020-\u007e\u00a1-\u00ac\u00ae-\u017f\u2013\u2014\u2018\u2019\u201c\u201d\u20ac]*$/

/**
 * Whether payment schemes carry a text: Latin letters with their accents, digits, and the usual punctuation, and not blank.
 * Anything else is refused, never silently changed (RW-D-01).
 */
export const isSchemeText = (text: string): boolean => supported.test(text) && text.trim() !== ''
