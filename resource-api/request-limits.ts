import type { IncomingMessage } from 'node:http'
import type { TokenClaims } from '@bankside/bank/access/decide-access'
import { clientAddress } from '@bankside/service-kit/client-address'
import { rateLimit } from '@bankside/service-kit/rate-limit'
import type { Api, Route } from './api.ts'
import { TooManyRequests } from './request-refusal.ts'

/** Requests per second that may go on for ever; ten seconds' worth may come at once after a rest. */
export type Rates = {
  readonly perAddress: number
  /** Of a third party, with all its customers. */
  readonly perClient: number
  /** Of one customer behind an app of the bank, whose client all customers share. */
  readonly perCustomer: number
  /** What changes anything or costs much, of a third party or a customer: counts besides (NAT-S9). */
  readonly writes: number
}

const burstSeconds = 10

export type RequestLimits = {
  /** @throws {TooManyRequests} before anything else of the request is looked at. */
  readonly checkAddress: (request: IncomingMessage) => void
  /** @throws {TooManyRequests} once its holder has shown a token, and before anything is asked for it but what goes with the use of its proof. */
  readonly checkHolder: (api: Api, route: Route, claims: TokenClaims) => void
}

/**
 * How many requests this process takes (RW-ST-09). Each process counts for itself: a count that all share would cost each
 * request a round trip. An address that nobody can tell is not limited.
 */
export function requestLimits(rates: Rates, trustedProxyAddresses: readonly string[]): RequestLimits {
  const limitOf = (perSecond: number) => rateLimit({ perSecond, burst: perSecond * burstSeconds })
  const [ofAddress, ofClient, ofCustomer, ofWrites] = [rates.perAddress, rates.perClient, rates.perCustomer, rates.writes].map(limitOf)
  const pass = (waitSeconds = 0) => {
    if (waitSeconds > 0) throw new TooManyRequests(waitSeconds)
  }
  return {
    checkAddress(request) {
      const address = clientAddress(request, trustedProxyAddresses)
      if (address !== undefined) pass(ofAddress?.(address))
    },
    checkHolder(api, { method, costly = false }, { clientId, grantId }) {
      const ofOne = api.idempotencyKeysOf === 'customer' && grantId !== undefined
      const holder = ofOne ? `${clientId} ${grantId}` : clientId
      pass((ofOne ? ofCustomer : ofClient)?.(holder))
      if (method !== 'GET' || costly) pass(ofWrites?.(holder))
    },
  }
}
