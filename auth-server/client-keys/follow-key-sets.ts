import type { Log } from '@bankside/service-kit/log'
import type { JWK } from 'jose'
import type { Client, Provider } from 'oidc-provider'
import type { KeySet, KeySets } from './key-sets.ts'

/** The library's own, which its types do not show: what it verifies a client's signatures with. */
type KeyStore = { clear(): void; add(key: JWK): void; fresh(): boolean; refresh(): Promise<void> }
type ClientWithKeys = Client & { readonly asymmetricKeyStore: KeyStore }

/**
 * Clients that publish their keys at an address: the library would ask it by itself, forget what it knew when it does not
 * answer, and go on with keys that were withdrawn until a signature fails. Here its key store follows the sets that are kept,
 * and it may have them asked for again when a signature fits none.
 */
export function followKeySets(provider: Provider, keySets: KeySets, log: Log): void {
  const followed = new WeakMap<Client, KeySet>()
  const { find } = provider.Client
  provider.Client.find = async function (this: typeof provider.Client, ...id) {
    const client = await find.apply(this, id)
    if (client?.jwksUri !== undefined) await follow(client as ClientWithKeys, client.jwksUri)
    return client
  }

  async function follow(client: ClientWithKeys, uri: string): Promise<void> {
    const store = client.asymmetricKeyStore
    if (!followed.has(client)) {
      store.fresh = () => !keySets.mayAskAgain(uri)
      store.refresh = async () => {
        await keySets.askAgain(uri)
        await load(client, uri)
      }
    }
    await load(client, uri)
  }

  async function load(client: ClientWithKeys, uri: string): Promise<void> {
    const set = await keySets.current(uri).catch((err: unknown) => {
      log.warn({ err, client_id: client.clientId }, 'the keys of a client are not known')
      return nothing
    })
    if (followed.get(client) === set) return
    client.asymmetricKeyStore.clear()
    for (const key of set.keys) client.asymmetricKeyStore.add(key)
    followed.set(client, set)
  }
}

const nothing: KeySet = { keys: [] }
