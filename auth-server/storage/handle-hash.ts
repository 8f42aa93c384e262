import { hash } from 'node:crypto'
import { remembered } from '@bankside/service-kit/remembered'

/** A request looks for what it names, and then writes of it: the handles of those that are under way. None of ours is as long. */
const remembering = { atMost: 256, lengthAtMost: 128 }

/**
 * Codes, tokens, request URIs and cookies have 256 random bits: a plain hash is enough, and a copy of the table opens nothing.
 *
 * @returns the same bytes to everybody who asks: nobody changes them.
 */
export const handleHash = remembered((handle) => hash('sha256', handle, 'buffer'), remembering)
