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
    for (const { routes: ofPath, segments: pattern } of patterns) {
      const parameters = match(pattern, segments)
      if (parameters === undefined) continue
      const route = ofPath.find((candidate) => candidate.method === method)
      if (route === undefined) throw new MethodNotAllowed(ofPath.map((candidate) => candidate.method))
      return { route, parameters }
    }
    return refuseRequest('path_unknown', 'there is nothing here')
  }
}

type Pattern = { readonly segments: readonly string[]; readonly routes: readonly Route[] }

/** A literal beats a parameter: `/transactions/transfer` is not the transaction named transfer. */
function patternsOf(routes: readonly Route[]): readonly Pattern[] {
  const parametersIn = ({ segments }: Pattern) => segments.filter((segment) => segment.startsWith(':')).length
  return [...Map.groupBy(routes, ({ path }) => path)]
    .map(([path, ofPath]) => ({ segments: path.split('/'), routes: ofPath }))
    .toSorted((one, other) => parametersIn(one) - parametersIn(other))
}

function match(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined
  const parameters: Record<string, string> = {}
  for (let index = 0; index < pattern.length; index++) {
    const expected = pattern[index] as string
    const segment = segments[index] as string
    if (expected.startsWith(':') && segment !== '') parameters[expected.slice(1)] = segment
    else if (expected !== segment) return undefined
  }
  return parameters
}
