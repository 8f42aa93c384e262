import type { Route } from './api.ts'
import { MethodNotAllowed, refuseRequest } from './request-refusal.ts'

export type Matched = { readonly route: Route; readonly parameters: Readonly<Record<string, string>> }

const pathLimit = 1_024

/**
 * Finds the route of a path behind the API's prefix. Paths are compared as they came: no decoding, no trailing slash,
 * no other spelling of the same thing.
 *
 * @throws {Refusal} `path_unknown`, `method_not_allowed`.
 */
export function routeMatcher(routes: readonly Route[]): (method: string, path: string) => Matched {
  const patterns = patternsOf(routes)
  return (method, path) => {
    if (path.length > pathLimit) refuseRequest('path_unknown', 'the path is too long')
    const segments = path.split('/')
    for (const pattern of patterns.get(segments.length) ?? []) {
      if (!fits(pattern, segments)) continue
      const route = pattern.routes.find((candidate) => candidate.method === method)
      if (route === undefined) throw new MethodNotAllowed(pattern.routes.map((candidate) => candidate.method))
      return { route, parameters: parametersIn(pattern, segments) }
    }
    return refuseRequest('path_unknown', 'there is nothing here')
  }
}

/** A segment with a name takes any text but none. */
type Segment = { readonly literal: string; readonly name?: undefined } | { readonly name: string }
type Pattern = { readonly segments: readonly Segment[]; readonly routes: readonly Route[] }

/** By their number of segments. A literal beats a parameter: `/transactions/transfer` is not the transaction named transfer. */
function patternsOf(routes: readonly Route[]): ReadonlyMap<number, readonly Pattern[]> {
  const namesIn = ({ segments }: Pattern) => segments.filter(({ name }) => name !== undefined).length
  const segmentOf = (text: string): Segment => (text.startsWith(':') ? { name: text.slice(1) } : { literal: text })
  const patterns = [...Map.groupBy(routes, ({ path }) => path)]
    .map(([path, ofPath]) => ({ segments: path.split('/').map(segmentOf), routes: ofPath }))
    .toSorted((one, other) => namesIn(one) - namesIn(other))
  return Map.groupBy(patterns, ({ segments }) => segments.length)
}

const fits = ({ segments: expected }: Pattern, segments: readonly string[]): boolean =>
  expected.every((segment, index) => (segment.name === undefined ? segment.literal === segments[index] : segments[index] !== ''))

function parametersIn({ segments: expected }: Pattern, segments: readonly string[]): Record<string, string> {
  const parameters: Record<string, string> = {}
  for (const [index, { name }] of expected.entries()) if (name !== undefined) parameters[name] = segments[index] as string
  return parameters
}
