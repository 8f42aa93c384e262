/** Tests run the library as the process does: run-tests.ts imports this before every file. */
import { useRememberedJose } from '../signatures/use-remembered-jose.ts'

useRememberedJose()
