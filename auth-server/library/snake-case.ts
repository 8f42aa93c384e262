import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import library from 'oidc-provider/lib/helpers/_/snake_case.js'

/** More than there are models and members of a client's metadata. */
const known = leastRecentlyUsed<string, string>(500)

/** As the library's, which asks this for every artifact that it keeps or finds used: always of the same few names. */
function snakeCase(name = ''): string {
  const found = known.get(name)
  if (found !== undefined) return found
  const made = library(name)
  known.set(name, made)
  return made
}

// What imports it is the library.
export { snakeCase as default }
