import type { Client, Provider } from 'oidc-provider'
import { isFirstParty } from '../storage/client-storage.ts'

/**
 * For clients with pairwise subjects the library wants a sector (OpenID Connect Core section 8.1): a URL to fetch where their redirects are
 * on several hosts, a key set's address for CIBA, and no `tls_client_auth` there. Ours are by client, whatever its URLs are: nobody else's
 * URL can make two clients one. So they are registered as public with the library, and named pairwise all the same.
 */
export function namePairwise({ Client }: Provider): void {
  Object.defineProperty(Client.prototype, 'subjectType', {
    get(this: Client) {
      return isFirstParty(this) ? 'public' : 'pairwise'
    },
    set() {
      // What the library read from the metadata is not what counts.
    },
  })
}
