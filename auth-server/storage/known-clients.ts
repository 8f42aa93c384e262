import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import type { Client, Provider } from 'oidc-provider'
import { isClientId } from './client-storage.ts'
import type { KeyedRows } from './keyed-rows.ts'

/** Beside the client itself, its keys stay imported: about ten kilobytes each. */
const knownAtMost = 5_000

type Known = { readonly version: string; readonly client: Client }

/**
 * Clients as the library made them, kept as long as their row is the same. The row is asked for with every request, after the
 * request came: a client that is blocked or changed is so for the very next one. What is kept is only the work of reading
 * the metadata, checking them and importing keys, which the library forgets beyond a hundred clients.
 *
 * The version is the transaction that wrote the row last. It covers `clients.client` and no other table.
 */
export function keepClients(provider: Provider, rows: KeyedRows): void {
  const known = leastRecentlyUsed<string, Known>(knownAtMost)
  const versionOf = rows({
    name: 'client',
    table: 'clients.client',
    key: { column: 'client_id', type: 'text' },
    payload: `xmin::text || ' ' || updated_at::text`,
    condition: `status = 'active' and $1::timestamptz is not null`,
  })
  const find = provider.Client.find.bind(provider.Client)
  provider.Client.find = async (id: string) => {
    // It is whatever somebody wrote.
    if (!isClientId(id)) return undefined
    const version = (await versionOf(id))?.payload
    if (version === undefined) return undefined
    const found = known.get(id)
    if (found?.version === version) return found.client
    const client = await find(id)
    if (client === undefined) return undefined
    tryFewKeys(client)
    known.set(id, { version, client })
    return client
  }
}

type KeyStore = { selectForVerify(options: object): readonly object[] }

/** Whoever does not say which of its keys it signed with has this many tried; or a stranger's request would cost as many signatures as a client has keys. */
const keysTriedAtMost = 3

function tryFewKeys(client: Client): void {
  const { asymmetricKeyStore: keys } = client as unknown as { asymmetricKeyStore: KeyStore }
  const select = keys.selectForVerify.bind(keys)
  keys.selectForVerify = (options) => select(options).slice(0, keysTriedAtMost)
}
