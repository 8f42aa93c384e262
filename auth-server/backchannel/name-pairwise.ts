import type { Client, Provider } from 'oidc-provider'
import { isFirstParty } from '../storage/client-storage.ts'

/**
 * For CIBA clients with pairwise subjects the library asks for a URL to take a sector from, and refuses `tls_client_auth`.
 * Ours are by client, whatever its URLs are: so they are registered as public with the library, and named pairwise all the same.
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
