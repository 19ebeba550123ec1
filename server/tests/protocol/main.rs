//! The server in this process, called over a socket, on ledgers that the tests write.

#[cfg(test)]
mod answer_cache;
#[cfg(test)]
mod auth;
#[cfg(test)]
mod cost_attribution_gap;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod history;
#[cfg(test)]
mod lookup;
#[cfg(test)]
mod pagination;
#[cfg(test)]
mod policy_simulation;
#[cfg(test)]
mod prompt_injection;
#[cfg(test)]
mod prompts_and_resources;
#[cfg(test)]
mod redis_cache;
#[cfg(test)]
#[path = "../../../tests/support/redis.rs"]
mod redis_server;
#[cfg(test)]
mod remediation;
#[cfg(test)]
mod request_guard;
#[cfg(test)]
mod scripted_year;
#[cfg(test)]
mod slow_clients;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod suggestions;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tool_reference;
#[cfg(test)]
mod untrusted_text;
