import { remembered } from '@bankside/service-kit/remembered'
import library from 'oidc-provider/lib/helpers/redirect_uri.js'

/** Redirect URIs as a browser writes them: of those that have no query yet. */
const written = remembered((uri) => new URL(uri).href, { atMost: 1_000 })

/** As the library's, which takes the address apart and writes it anew for each parameter: where there is no query, one is put behind it. */
function redirectUri(uri: string, payload: Record<string, string>, mode?: string): string {
  const isPlain = mode === 'query' && typeof uri === 'string' && !/[?#]/.test(uri)
  const query = isPlain ? new URLSearchParams(payload).toString() : ''
  return query === '' ? library(uri, payload, mode) : `${written(uri)}?${query}`
}

// What imports it is the library.
export { redirectUri as default }
