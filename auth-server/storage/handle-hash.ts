import { hash } from 'node:crypto'

/** Codes, tokens, request URIs and cookies have 256 random bits: a plain hash is enough, and a copy of the table opens nothing. */
export const handleHash = (handle: string): Buffer => hash('sha256', handle, 'buffer')
