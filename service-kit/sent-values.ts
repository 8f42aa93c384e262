/** Beyond, PostgreSQL and JavaScript write years in different ways. */
const earliestMs = Date.UTC(1000, 0)
const latestMs = Date.UTC(10_000, 0) - 1
const isPlainTime = (value: Date): boolean => value.getTime() >= earliestMs && value.getTime() <= latestMs

/** A time as JavaScript writes it (`pg` puts it together from its parts in the zone of the process, for ten times as much); a list likewise. */
export function asSent(value: unknown): unknown {
  if (value instanceof Date) return isPlainTime(value) ? value.toISOString() : value
  return Array.isArray(value) ? (arrayText(value) ?? value) : value
}

/** What has to be told apart from the quotes around an element. */
const special = /["\\]/

/**
 * A list as PostgreSQL reads it, and `pg` writes it, which looks through every element twice with regular expressions. Undefined for one that
 * holds anything but texts, bytes, times and nulls.
 */
function arrayText(elements: readonly unknown[]): string | undefined {
  let text = '{'
  for (let index = 0; index < elements.length; index++) {
    const element = elements[index]
    if (index > 0) text += ','
    if (element === null) text += 'NULL'
    else if (typeof element === 'string') text += `"${special.test(element) ? element.replaceAll(/["\\]/g, '\\$&') : element}"`
    else if (element instanceof Buffer) text += `\\\\x${element.toString('hex')}`
    else if (element instanceof Date && isPlainTime(element)) text += `"${element.toISOString()}"`
    else return undefined
  }
  return `${text}}`
}
