import { type Client, type Grant, type Interaction, type KoaContextWithOIDC, Provider, type Session } from 'oidc-provider'
import { keptWithRequest } from '../http/kept-with-request.ts'
import type { Context } from '../http/request-context.ts'

/** What a request has read of its journey, and the library would read again when the request goes on to it. */
export type Read = {
  readonly interaction: Interaction
  readonly client: Client
  readonly session: Session
  /** The name of the one that takes its place, if it is over. */
  readonly sessionUid: string
  readonly grant?: Grant | undefined
}

/** By the request's context: nothing is found by another request, and nothing is left when this one is answered. */
const readBy = keptWithRequest<Read>('read')

export const goesOnWith = (ctx: Context, read: Read): void => void readBy.set(ctx, read)

export const grantReadBy = (ctx: object, grantId: string): Grant | undefined => {
  const grant = readBy.get(ctx)?.grant
  return grant?.jti === grantId ? grant : undefined
}

type Finds<Found> = { find(id: string, options?: { readonly ignoreExpiration?: boolean }): Promise<Found | undefined> }
type FindsSession = { get(ctx: KoaContextWithOIDC): Promise<Session> }
type Instantiates = { instantiate(payload: object): object }

/** Has the library take what its request has read already. */
export function readOnce(provider: Provider): void {
  const read = () => readBy.get(Provider.ctx ?? {})
  const interactions = provider.Interaction as unknown as Finds<Interaction>
  const { find: findInteraction } = interactions
  interactions.find = async function (id, options) {
    const interaction = read()?.interaction
    return interaction?.uid === id ? interaction : findInteraction.call(this, id, options)
  }
  const { find: findClient } = provider.Client
  provider.Client.find = (id) => {
    const client = read()?.client
    return client?.clientId === id ? Promise.resolve(client) : findClient.call(provider.Client, id)
  }
  const sessions = provider.Session as unknown as FindsSession
  const { get } = sessions
  sessions.get = async function (ctx) {
    const known = readBy.get(ctx)
    if (known === undefined) return get.call(this, ctx)
    const { session, sessionUid } = known
    if ((session as { readonly destroyed?: boolean }).destroyed) return Object.assign(await get.call(this, ctx), { uid: sessionUid })
    ctx.oidc.entity('Session', session)
    return session
  }
  useUpUnread(provider)
}

/**
 * When a journey ends, the library looks at the pushed request that began it, and then uses it up. Using up is one statement,
 * which succeeds once: what it does not find was used up before, too, and to look first would add nothing.
 */
function useUpUnread(provider: Provider): void {
  const requests = provider.PushedAuthorizationRequest as unknown as Finds<object> & Instantiates
  const { find } = requests
  requests.find = async function (jti, options) {
    return Provider.ctx?.oidc.route === 'resume' ? requests.instantiate({ jti }) : find.call(this, jti, options)
  }
}
