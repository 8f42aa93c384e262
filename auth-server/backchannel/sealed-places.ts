import type { Place } from '../storage/stored-seals.ts'

/** What a request is, and what became of it, are sealed for the row of that request and apart: the one does not pass for the other. */
export const questionPlace = (idHash: Buffer): Place => ['BackchannelAuthenticationRequest', idHash.toString('base64url')]
export const answerPlace = (idHash: Buffer): Place => ['BackchannelAuthenticationRequest answer', idHash.toString('base64url')]
