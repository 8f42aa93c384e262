import { type AuthorizationCode, Provider } from 'oidc-provider'
import { cookieNames } from '../http/cookie-names.ts'
import type { Context, Next } from '../http/request-context.ts'
import { isClientId } from './client-storage.ts'
import { handleHash } from './handle-hash.ts'
import type { KeyedRows } from './keyed-rows.ts'

const pushedRequest = 'urn:ietf:params:oauth:request_uri:'
/** Longer than any handle of ours. */
const handleLengthAtMost = 128

/** The library looks for the session, then for the client, then for the pushed request. All three are named by the request itself. */
export function askForAuthorization(rows: KeyedRows) {
  return async (ctx: Context, next: Next): Promise<void> => {
    const { client_id: clientId, request_uri: uri } = ctx.query
    rows.askAhead(ctx, [
      ...byHandle('session', ctx.cookies.get(cookieNames.session, { signed: false })),
      ...byHandle('pushed_authorization_request', typeof uri === 'string' ? uri.split(pushedRequest)[1] : undefined),
      ...(isClientId(clientId) ? [{ source: 'client', key: clientId }] : []),
    ])
    await next()
  }
}

const byHandle = (source: string, handle: string | undefined) =>
  handle === undefined || handle.length > handleLengthAtMost ? [] : [{ source, key: handleHash(handle) }]

/**
 * Of a token that it is asked about, the library looks for the grant and then for the client. Both are asked for while it is found
 * out how the token stands: a request waits for the database once instead of three times.
 */
export function askForGrant(rows: KeyedRows, grantId: string, clientId: string): void {
  const { ctx } = Provider
  if (ctx === undefined) return
  rows.askAhead(ctx, [
    { source: 'grant', key: grantId },
    { source: 'client', key: clientId },
  ])
}

type Finds<Found> = { find(id: string, options?: object): Promise<Found | undefined> }

/** The client, its code and the code's grant, all at once: when the client is looked for, the form has been read. */
export function askForCode(provider: Provider, rows: KeyedRows): void {
  rows({
    name: 'grant_of_code',
    // Put like this, each grant is found by its key, whatever PostgreSQL takes the tables for when it plans.
    table: `oidc.authorization_code code cross join lateral (
      select * from oidc.grant where grant_id = code.grant_id and revoked_at is null and expires_at > $1 offset 0) given`,
    key: { column: 'code.id_hash', type: 'bytea' },
    payload: 'given.payload',
    condition: 'code.expires_at > $1',
  })
  const { find: findClient } = provider.Client
  provider.Client.find = (id) => {
    const { ctx } = Provider
    const code = ctx?.oidc.route === 'token' ? ctx.oidc.params?.['code'] : undefined
    if (ctx !== undefined && typeof code === 'string')
      rows.askAhead(ctx, [...byHandle('authorization_code', code), ...byHandle('grant_of_code', code)])
    return findClient.call(provider.Client, id)
  }
  const codes = provider.AuthorizationCode as unknown as Finds<AuthorizationCode>
  const { find: findCode } = codes
  codes.find = async (id, options) => {
    const code = await findCode.call(codes, id, options)
    const { ctx } = Provider
    if (ctx !== undefined && code?.grantId !== undefined)
      rows.rename(ctx, { source: 'grant_of_code', key: handleHash(id) }, { source: 'grant', key: code.grantId })
    return code
  }
}
