//! How Grafana is told about this server.

/// A provisioning file with a data source for each API that the server has, at this URL.
#[must_use]
pub fn provisioning(url: &str) -> String {
    format!(
        "# Copy to /etc/grafana/provisioning/datasources/. From a container, replace localhost by the host.\n\
         apiVersion: 1\n\
         datasources:\n\
         # TraceQL metrics as Prometheus series: write TraceQL where Grafana expects PromQL.\n\
         - name: Spandrel metrics\n  uid: spandrel-prom\n  type: prometheus\n  access: proxy\n  url: {url}/prom\n  \
           jsonData:\n    httpMethod: POST\n    disableRecordingRules: true\n\
         # Searches, traces and TraceQL metrics.\n\
         - name: Spandrel traces\n  uid: spandrel\n  type: tempo\n  access: proxy\n  url: {url}\n  \
           jsonData:\n    streamingEnabled:\n      search: false\n      metrics: false\n"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_file_is_yaml_with_two_data_sources() {
        let text = super::provisioning("http://localhost:3200");
        let value: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).expect("valid YAML");
        let sources = value["datasources"].as_sequence().expect("a list");
        let urls: Vec<_> = sources
            .iter()
            .filter_map(|source| source["url"].as_str())
            .collect();
        assert_eq!(
            urls,
            ["http://localhost:3200/prom", "http://localhost:3200"]
        );
        assert_eq!(sources[0]["jsonData"]["httpMethod"].as_str(), Some("POST"));
    }
}
