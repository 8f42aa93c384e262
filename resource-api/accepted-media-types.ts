type Range = { readonly type: string; readonly subtype: string; readonly parameters: ReadonlyMap<string, string>; readonly weight: number }

/**
 * Whether an Accept header lets through one of these media types: of the ranges that fit a type the most specific one says so, and what
 * cannot be read fits none (RFC 9110 section 12.5.1).
 */
export function acceptsOneOf(accept: string, offered: readonly string[]): boolean {
  const ranges = splitOutsideQuotes(accept, ',').flatMap((text) => readRange(text) ?? [])
  return offered.flatMap((text) => readRange(text) ?? []).some((type) => weightOf(type, ranges) > 0)
}

function weightOf(offered: Range, ranges: readonly Range[]): number {
  let best = { specificity: -1, weight: 0 }
  for (const range of ranges) {
    const specificity = specificityOf(range, offered)
    if (specificity > best.specificity) best = { specificity, weight: range.weight }
  }
  return best.weight
}

/** Below zero for a range that the type is not in. */
function specificityOf({ type, subtype, parameters }: Range, offered: Range): number {
  if ((type !== '*' && type !== offered.type) || (subtype !== '*' && subtype !== offered.subtype)) return -1
  for (const [name, value] of parameters) if (offered.parameters.get(name) !== value) return -1
  return (type === '*' ? 0 : 4) + (subtype === '*' ? 0 : 2) + (parameters.size > 0 ? 1 : 0)
}

function readRange(text: string): Range | undefined {
  const [range = '', ...rest] = splitOutsideQuotes(text, ';')
  const [, type, subtype] = /^\s*([^\s/]+)\/([^\s/]+)\s*$/.exec(range.toLowerCase()) ?? []
  if (type === undefined || subtype === undefined) return undefined
  const parameters = new Map<string, string>()
  let weight = 1
  for (const parameter of rest) {
    const [name = '', value = ''] = parameter.split('=', 2).map((part) => part.trim().toLowerCase())
    if (name === 'q') weight = Number(value)
    else if (name !== '') parameters.set(name, value.replace(/^"(.*)"$/, '$1'))
  }
  return { type, subtype, parameters, weight }
}

function splitOutsideQuotes(text: string, separator: ',' | ';'): string[] {
  if (!text.includes('"')) return text.split(separator)
  return text.match(separator === ',' ? /(?:"[^"]*"?|[^",])+/g : /(?:"[^"]*"?|[^";])+/g) ?? []
}
