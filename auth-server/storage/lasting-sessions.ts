import type { Clock } from '@bankside/service-kit/clock'
import { type AdapterPayload, errors, type Provider, type Session } from 'oidc-provider'

/** A session that is used is written again only when this much of its idle time is gone: it may end so much too early, never late. */
const writtenAgainAfterSeconds = 30

const asRead = Symbol('the session as it was read')
type Kept = Session & { [asRead]?: string; oldId?: string | undefined }
/** The library makes every session that it finds with this; its types do not say so. */
type SessionClass = { instantiate(payload?: AdapterPayload): Session }

/**
 * The library writes a session with every request of its browser, and when the handle changes deletes the row before it
 * writes the other one. Most of this changes nothing: here a session is written when something in it changed or it would
 * otherwise end too early, and a new handle takes the place of the old one in the row itself. One that ended since it was read is
 * not written: `SessionNotFound`.
 */
export function writeSessionsSeldom({ Session }: Provider, clock: Clock): void {
  const sessions = Session as unknown as SessionClass
  const { instantiate } = sessions
  sessions.instantiate = function (this: SessionClass, payload) {
    const session: Kept = instantiate.call(this, payload)
    if (payload?.exp !== undefined) isKept(session)
    return session
  }

  const { save, getValueAndPayload } = Session.prototype as Session & { getValueAndPayload(): Promise<{ payload: AdapterPayload }> }
  Object.assign(Session.prototype, {
    async getValueAndPayload(this: Kept) {
      const made = await getValueAndPayload.call(this)
      // A symbol is in no JSON.
      if (wasFound(this)) Object.assign(made.payload, { [wasRead]: true })
      return made
    },
  })
  Session.prototype.save = async function (this: Kept, ttlSeconds: number) {
    const gained = Math.floor(clock.now().getTime() / 1000) + ttlSeconds - this.exp
    if (gained >= 0 && gained < writtenAgainAfterSeconds && this[asRead] === contentOf(this)) {
      // Or the library would ask for it once more.
      Reflect.set(this, 'touched', false)
      return this.jti
    }
    this.oldId = undefined
    try {
      return await save.call(this, ttlSeconds)
    } catch (error) {
      // It ended meanwhile: the library is not to write it again, after the error.
      if (error instanceof errors.SessionNotFound) Object.assign(this, { destroyed: true })
      throw error
    }
  }
}

/** As it is now, it is stored. */
function isKept(session: Session): void {
  Object.defineProperty(session, asRead, { value: contentOf(session), configurable: true })
}

/** Of what is written: whether it was there when it was read. Then it is not to be made again, if it is there no more. */
export const wasThere = (payload: AdapterPayload): boolean => (payload as { [wasRead]?: true })[wasRead] === true
const wasRead = Symbol('a session that was read')

/** Whether it was found in the storage: one that is not there any more has ended since. */
export const wasFound = (session: Session): boolean => (session as Kept)[asRead] !== undefined

/** The library has still to write the session of its request, and was spared that: it gives a new one its cookie all the same. */
export function isWritten(session: Session): void {
  isKept(session)
  Object.assign(session, { touched: true })
}

/** Everything but the times, which change with every writing. */
const contentOf = ({ jti, uid, acr, amr, accountId, loginTs, transient, state, authorizations }: Session): string =>
  JSON.stringify([jti, uid, acr, amr, accountId, loginTs, transient, state, authorizations])
