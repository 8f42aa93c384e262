import { gather } from '@bankside/service-kit/gather'
import { leastRecentlyUsed } from '@bankside/service-kit/least-recently-used'
import type { Prepared } from '@bankside/service-kit/prepared'
import type { Client, Provider } from 'oidc-provider'
import { protocolErrors } from '../protocol-errors.ts'
import { isClientId } from './client-storage.ts'

/** Beside the client itself, its keys stay imported: about ten kilobytes each. */
const knownAtMost = 5_000
const clientsPerStatement = 200
const statementsAtOnce = 2

type Known = { readonly version: string; readonly client: Client }

/**
 * Clients as the library made them, kept as long as their row is the same. The row is asked for with every request, after the
 * request came: a client that is blocked or changed is so for the very next one. What is kept is only the work of reading
 * the metadata, checking them and importing keys, which the library forgets beyond a hundred clients.
 *
 * The version is the transaction that wrote the row last. It covers `clients.client` and no other table.
 */
export function keepClients(provider: Provider, prepared: Prepared): void {
  const known = leastRecentlyUsed<string, Known>(knownAtMost)
  const versionOf = gather((ids: readonly string[]) => protocolErrors(readVersions(prepared, ids)), {
    atMost: clientsPerStatement,
    callsAtOnce: statementsAtOnce,
  })
  const find = provider.Client.find.bind(provider.Client)
  provider.Client.find = async (id: string) => {
    // It is whatever somebody wrote.
    if (!isClientId(id)) return undefined
    const version = await versionOf(id)
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

const version = `xmin::text || ' ' || updated_at::text as version`

async function readVersions(prepared: Prepared, ids: readonly string[]): Promise<readonly (string | undefined)[]> {
  const distinct = [...new Set(ids)]
  const [only, another] = distinct
  if (another === undefined) {
    const text = `select ${version} from clients.client where client_id = $1 and status = 'active'`
    const [row] = await prepared.query<{ version: string }>('oidc_client_version', text, [only])
    return ids.map(() => row?.version)
  }
  const rows = await prepared.query<{ client_id: string; version: string }>(
    'oidc_client_versions',
    `select found.client_id, found.version from unnest((select $1::text[])) as asked (id) cross join lateral (
       select client_id, ${version} from clients.client
       where client_id = asked.id and status = 'active' offset 0) as found`,
    [distinct],
  )
  const versions = new Map(rows.map(({ client_id, version }) => [client_id, version]))
  return ids.map((id) => versions.get(id))
}
