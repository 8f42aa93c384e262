import type { Log } from '@bankside/service-kit/log'
import type { AdapterPayload } from 'oidc-provider'
import type { StoredSeals } from './stored-seals.ts'

/** Payloads of one model as they are stored: without their handle, and sealed for the row that they are in. */
export type SealedPayloads = {
  seal(key: Buffer | string, payload: AdapterPayload): string
  /** Undefined for what this server did not write into this row: it is as if nothing were there, and the log says so. */
  open(key: Buffer | string, sealed: string): AdapterPayload | undefined
}

/** @param strip Takes out what is a handle of something else, and what the library never reads back. */
export function sealedPayloads(model: string, seals: StoredSeals, log: Log, strip = (payload: AdapterPayload) => payload): SealedPayloads {
  return {
    seal(key, payload) {
      const { jti: _handle, ...stored } = strip(payload)
      return seals.seal([model, textOf(key)], JSON.stringify(stored))
    },
    open(key, sealed) {
      const text = seals.open([model, textOf(key)], sealed)
      if (text === undefined) log.error({ model }, 'a stored row was not written by this server, or has been changed: it is not served')
      return text === undefined ? undefined : (JSON.parse(text) as AdapterPayload)
    },
  }
}

const textOf = (key: Buffer | string): string => (typeof key === 'string' ? key : key.toString('base64url'))
