/** What a check of a payee's name can say. `not_checked`: the account is at another bank, which this one cannot ask. */
export const nameChecks = ['matched', 'close_match', 'not_matched', 'not_checked'] as const
export type NameCheck = (typeof nameChecks)[number]

/** Names longer than any are not compared letter by letter. */
const comparedLength = 140
/** How many letters may be mistyped, by the length of the name. */
const mistakesIn = (length: number): number => (length >= 10 ? 2 : length >= 4 ? 1 : 0)

/**
 * Whether a name that somebody wrote is that of an account's holder. Case, accents, punctuation, titles and `&` for `and` make
 * no difference. Close: the same names in another order, initials for first names, middle names left out, or mistyped letters.
 */
export function matchNames(written: string, holder: string): Exclude<NameCheck, 'not_checked'> {
  const [one, other] = [wordsOf(written), wordsOf(holder)]
  const [text, holderText] = [one.join(' '), other.join(' ')]
  if (text === '' || holderText === '') return 'not_matched'
  if (text === holderText) return 'matched'
  const mistyped = distance(text, holderText, mistakesIn(holderText.length)) <= mistakesIn(holderText.length)
  return mistyped || one.toSorted().join(' ') === other.toSorted().join(' ') || isShortened(one, other) || isShortened(other, one)
    ? 'close_match'
    : 'not_matched'
}

const titles = new Set(['mr', 'mrs', 'ms', 'miss', 'mx', 'dr', 'prof', 'sir', 'dame', 'lord', 'lady', 'rev'])
const shortWords: Readonly<Record<string, string>> = { limited: 'ltd', company: 'co' }

function wordsOf(name: string): string[] {
  const words = name
    .slice(0, comparedLength)
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll('&', ' and ')
    .replaceAll(/['’.]/g, '')
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .map((word) => (Object.hasOwn(shortWords, word) ? (shortWords[word] ?? word) : word))
  const withoutTitle = titles.has(words[0] ?? '') ? words.slice(1) : words
  return withoutTitle.length > 0 ? withoutTitle : words
}

/** The last name is the same, and each name before it is there, as it is or as an initial, in order: `A Byron` for `Ada King Byron`. */
function isShortened(short: readonly string[], long: readonly string[]): boolean {
  if (short.length < 2 || short.length > long.length || short.at(-1) !== long.at(-1)) return false
  let at = 0
  for (const word of short.slice(0, -1)) {
    while (at < long.length - 1 && long[at] !== word && !(word.length === 1 && long[at]?.startsWith(word))) at++
    if (at >= long.length - 1) return false
    at++
  }
  return true
}

/** Levenshtein distance, or more than `most` as soon as it is sure to be more. */
function distance(one: string, other: string, most: number): number {
  if (Math.abs(one.length - other.length) > most) return most + 1
  const otherLetters = [...other]
  let row = Array.from({ length: otherLetters.length + 1 }, (_, index) => index)
  for (const [index, letter] of [...one].entries()) {
    const next = [index + 1]
    for (const [column, otherLetter] of otherLetters.entries())
      next.push(Math.min((next[column] ?? 0) + 1, (row[column + 1] ?? 0) + 1, (row[column] ?? 0) + (letter === otherLetter ? 0 : 1)))
    row = next
  }
  return row.at(-1) ?? most + 1
}
